/* SPDX-License-Identifier: LGPL-2.1-or-later */
#if HAVE_NFT
int x;
#else
int y;
#endif
