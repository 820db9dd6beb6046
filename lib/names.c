/* SPDX-License-Identifier: MIT */
#include "names.h"
