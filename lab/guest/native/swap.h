/* ioctl(2) requests with which a node's programs ask hwview for swapon and swapoff, because container engines forbid
 * swapon(2) itself. */
#ifndef SWAP_H
#define SWAP_H

#define HWVIEW_SWAPON 0x52414b01U /* argument: the flags of swapon(2) */
#define HWVIEW_SWAPOFF 0x52414b02U

#endif
