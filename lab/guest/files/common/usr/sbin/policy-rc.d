#!/bin/sh
# Asked by maintainer scripts before they start a service (invoke-rc.d(8)); 101 forbids it.
# yum asks for that, since Enterprise Linux starts nothing by itself.
[ -z "${SERVICES_STAY_DOWN:-}" ] || exit 101
