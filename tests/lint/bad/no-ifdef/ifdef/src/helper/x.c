/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_NFT
int x;
#endif
