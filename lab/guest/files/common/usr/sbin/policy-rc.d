#!/bin/sh
# Maintainer scripts ask this program before they start a service (invoke-rc.d(8)); status 101 forbids it.
# yum sets the variable, because Enterprise Linux does not start services when it installs packages.
[ -z "${SERVICES_STAY_DOWN:-}" ] || exit 101
