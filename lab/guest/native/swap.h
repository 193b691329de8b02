/* What programs of a node ask the board for a device by ioctl(2), as engines forbid containers swapon(2) itself. */
#ifndef SWAP_H
#define SWAP_H

#define HWVIEW_SWAPON 0x52414b01U /* the argument: flags of swapon(2) */
#define HWVIEW_SWAPOFF 0x52414b02U

#endif
