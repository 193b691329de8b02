# ~/.bashrc: for interactive shells; the prompt comes from /etc/bash.bashrc.
case $- in *i*) ;; *) return ;; esac
alias ls='ls --color=auto'
alias grep='grep --color=auto'
