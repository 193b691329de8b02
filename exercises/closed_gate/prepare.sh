# A repository whose pipeline releases whatever is pushed, and stamps the SMS; one of three releases failed its test.

#: step gate on sms as root
rm -rf /srv/git/burnin.git /srv/images && mkdir -p /srv/git
git init -q --bare -b main /srv/git/burnin.git
cat >/srv/git/burnin.git/hooks/post-receive <<'EOF'
#!/bin/sh
# git runs this after a push: each commit goes through its own pipeline.sh, in a checkout that nobody has touched.
while read -r _ commit ref; do
    git cat-file -e "$commit^{commit}" 2>/dev/null || continue
    build=$(mktemp -d) && git archive "$commit" | tar -x -C "$build"
    echo "pipeline of ${ref#refs/heads/} $(echo "$commit" | cut -c 1-12)"
    (cd "$build" && sudo COMMIT="$commit" REF="${ref#refs/heads/}" ./pipeline.sh </dev/null) 2>&1
    status=$?
    if [ $status = 0 ]; then echo "the pipeline has passed"; else echo "the pipeline has failed with status $status"; fi
    sudo rm -rf "$build"
done
EOF
chmod 755 /srv/git/burnin.git/hooks/post-receive /home/user1/closed_gate/pipeline.sh /home/user1/closed_gate/system/init
chown -R user1:user1 /srv/git/burnin.git /home/user1/closed_gate

#: step gate on sms as user1
cd ~/closed_gate
git init -q -b main && git remote add origin /srv/git/burnin.git
git config user.name user1 && git config user.email user1@sms
save() { git add --all && git commit -q -m "$1" && git push -q -u origin main; }
save "A burn-in for new nodes"
sed -i 's/HOURS=24/HOURS=0/' system/etc/burnin.conf && save "A short burn-in, just for today"
git -C /srv/git/burnin.git update-ref refs/lesson/untested main
sed -i 's/HOURS=0/HOURS=24/' system/etc/burnin.conf && save "A day again"
