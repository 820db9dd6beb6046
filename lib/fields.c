/* SPDX-License-Identifier: MIT */
#include "fields.h"
