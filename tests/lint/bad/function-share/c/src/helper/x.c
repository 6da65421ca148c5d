/* SPDX-License-Identifier: LGPL-2.1-or-later */
void
long_0(int x)
{
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
}

void
long_1(int x)
{
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
	x++;
}

void
short_0(int x)
{
	x++;
}

void
short_1(int x)
{
	x++;
}

void
short_2(int x)
{
	x++;
}

void
short_3(int x)
{
	x++;
}

void
short_4(int x)
{
	x++;
}

void
short_5(int x)
{
	x++;
}

void
short_6(int x)
{
	x++;
}

void
short_7(int x)
{
	x++;
}
