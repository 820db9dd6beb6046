/* SPDX-License-Identifier: MIT */
#include "accept.h"
