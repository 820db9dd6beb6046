/* SPDX-License-Identifier: MIT */
#include "pack.h"
