# The prompt of the course: [user1@sms ~]$
if [ -n "${BASH_VERSION:-}" ] && [ -n "${PS1:-}" ]; then PS1='[\u@\h \W]\$ '; fi
