/* log: the logger "hpool", as one more listener of a client, told after the
 * client's own.
 *
 * A client looks whether somebody listens to the logger when it is made, and
 * whenever a request is about to make a connection (HP_DRIVE_CONNECTS), so that
 * logging which is configured later is seen from the next dial on. Never on the
 * way to a connection that is there. */
#ifndef HPY_LOG_H
#define HPY_LOG_H

#include "response.h"

/* A new trace handler when the standard library's logging has been imported
 * and the logger is at DEBUG, else None. New reference. RAISES. */
PyObject *hpy_log_wanted(hpy_state *st);

/* Looks again. The client changes for the requests to come; the one that
 * dials is told of from here on. 0, or -1 with what is no Exception. */
int hpy_log_look(hpy_response *r);

/* The same for a client that makes connections for nobody. */
int hpy_log_look_client(hpy_client *c);

#endif
