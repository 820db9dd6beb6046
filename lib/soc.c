/* SPDX-License-Identifier: MIT */
#include "soc.h"
