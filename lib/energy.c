/* SPDX-License-Identifier: MIT */
#include "energy.h"
