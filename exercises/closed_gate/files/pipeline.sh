#!/bin/sh -e
# From a commit to a release. The repository's hook runs this as root, in a checkout of the commit that was pushed.
# COMMIT and REF say which one that is. "-e": the first command that fails ends the pipeline.
release=/srv/images/burnin/$(echo "$COMMIT" | cut -c 1-12)

# The tree: busybox, and the files of this repository over it.
mkdir -p tree/bin
cp /usr/bin/busybox tree/bin/
ln -s busybox tree/bin/sh
cp -r system/. tree/

# The tests. What they say is kept beside the image.
sh tests/run tree | tee results.txt

# The stamp: so that a running node can say which commit it runs.
cd tree
printf 'role=burnin\nref=%s\ncommit=%s\n' "$REF" "$COMMIT" >/etc/image-release

# The image, and its place.
find . | LC_ALL=C sort | cpio --quiet --reproducible -o -H newc -R 0:0 | gzip -n >../image.gz
cd ..
mkdir -p "$release"
cp image.gz results.txt "$release"
echo "released: $release"
