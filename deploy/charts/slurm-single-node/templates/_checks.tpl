{{- /* Values that no schema judges well: each answer is one sentence, and what to type. */ -}}
{{- define "slurm-single-node.checks" -}}
{{- if not .Values.image -}}
{{- fail "no image is named: --set image=REGISTRY/slurm-single-node-trixie:TAG, where you pushed what `lab images build slurm-single-node-trixie` made" -}}
{{- end -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]{0,49}$" .Release.Name) -}}
{{- fail (printf "the release cannot be called %q, since Slurm's machine has its name: take small letters, digits and -, a letter first" .Release.Name) -}}
{{- end -}}
{{- range $who, $account := .Values.token.accounts -}}
{{- if not (regexMatch "^[a-z0-9-]{1,63}:[a-z0-9.-]{1,253}$" $who) -}}
{{- fail (printf "token.accounts names no service account: %q; write NAMESPACE:SERVICEACCOUNT" $who) -}}
{{- end -}}
{{- if not (has $account (list "user1" "user2")) -}}
{{- fail (printf "token.accounts gives %s the account %q, and the image has user1 and user2" $who $account) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.state.storageClass (not .Values.state.size) -}}
{{- fail "state.storageClass needs a size: --set state.size=2Gi" -}}
{{- end -}}
{{- end -}}

{{- define "slurm-single-node.selector" -}}
app.kubernetes.io/name: slurm-single-node
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "slurm-single-node.labels" -}}
{{ include "slurm-single-node.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}
