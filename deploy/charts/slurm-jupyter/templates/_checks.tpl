{{- /* Values that no schema judges well: each answer is one sentence, and what to type. */ -}}
{{- define "slurm-jupyter.checks" -}}
{{- $user := .Values.user -}}
{{- $token := .Values.token -}}
{{- if not .Values.image -}}
{{- fail "no image is named: --set image=REGISTRY/slurm-jupyter-trixie:TAG, where you pushed what `lab images build slurm-jupyter-trixie` made" -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z_][A-Za-z0-9_.-]{0,31}$" $user.name) -}}
{{- fail (printf "user.name does not name a user of the Slurm cluster: %q; --set user.name=NAME" $user.name) -}}
{{- end -}}
{{- range $what := list "uid" "gid" -}}
{{- if lt (int (get $user $what)) 1 -}}
{{- fail (printf "user.%s is no number of an ordinary account, and a notebook never runs as root; --set user.%s=NUMBER, as `id %s` says on the Slurm cluster" $what $what $user.name) -}}
{{- end -}}
{{- end -}}
{{- if not (regexMatch "^[A-Za-z0-9\\[][A-Za-z0-9.:\\[\\]-]*(,[A-Za-z0-9\\[][A-Za-z0-9.:\\[\\]-]*)*$" .Values.controller) -}}
{{- fail (printf "controller does not say where slurmctld answers: %q; --set controller=HOST[:PORT], several as HOST\\,HOST" .Values.controller) -}}
{{- end -}}
{{- if and $token.url $token.secret -}}
{{- fail "token.url and token.secret exclude each other: keep one" -}}
{{- end -}}
{{- if not (or $token.url $token.secret) -}}
{{- fail "there is no way to a token: --set token.url=https://HOST:PORT/v1/token/kubernetes, where slurm-token answers; or --set token.secret=NAME, a Secret of this user" -}}
{{- end -}}
{{- if and $token.url (not (regexMatch "^https://[A-Za-z0-9.:\\[\\]-]+/v1/token/kubernetes$" $token.url)) -}}
{{- fail (printf "token.url is not where slurm-token answers pods: %q; --set token.url=https://HOST:PORT/v1/token/kubernetes" $token.url) -}}
{{- end -}}
{{- if and $token.url (not $token.ca.configMap) -}}
{{- fail "nothing says who certified slurm-token: --set token.ca.configMap=NAME, a ConfigMap with the certificate in ca.crt" -}}
{{- end -}}
{{- if and .Values.home.subPath (not .Values.home.claim) -}}
{{- fail "home.subPath is a folder of a claim: --set home.claim=NAME, or leave it out" -}}
{{- end -}}
{{- end -}}

{{- define "slurm-jupyter.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end -}}

{{- define "slurm-jupyter.selector" -}}
app.kubernetes.io/name: slurm-jupyter
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "slurm-jupyter.labels" -}}
{{ include "slurm-jupyter.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
