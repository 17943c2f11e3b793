/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file rt_echo.h
 * The application of the conformance profile: what the test suites of Engine.IO and Socket.IO
 * expect of a server, an echo of raw WebSocket messages, and a room for load tests.
 */
#ifndef RT_ECHO_H
#define RT_ECHO_H

#include "rt_app.h"

/** Needs no data. */
extern const rt_app_t rt_echo_app;

#endif /* RT_ECHO_H */
