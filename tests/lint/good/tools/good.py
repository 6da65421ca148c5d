#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A generator's template is in another language."""

TEMPLATE = '''
int
x(void)
{
	return 0;
}
'''
