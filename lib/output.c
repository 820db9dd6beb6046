/* SPDX-License-Identifier: MIT */
#include "output.h"
