/* SPDX-License-Identifier: MIT */
#include "relay.h"
