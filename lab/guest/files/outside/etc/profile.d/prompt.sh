# The prompt of the course: [root@outside ~]#
if [ -n "${BASH_VERSION:-}" ] && [ -n "${PS1:-}" ]; then PS1='[\u@\h \W]\$ '; fi
