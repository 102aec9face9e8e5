/* Errors of the C API: every function returns 0 (or a count) when it did its work, and one of these
 * negative numbers when it did not. The number is what a program branches on; the sentence for
 * people is plugin_last_error(). The numbers never change. */
#ifndef MOHHOS_ERRORS_H
#define MOHHOS_ERRORS_H

#include "mohhos/export.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
  PLUGIN_OK = 0,
  PLUGIN_E_FAILED = -1,          /* none of the others fits */
  PLUGIN_E_INVALID = -2,         /* an argument is wrong */
  PLUGIN_E_NOT_FOUND = -3,       /* no such plugin or file */
  PLUGIN_E_EXISTS = -4,          /* a plugin of that name is loaded */
  PLUGIN_E_BAD_STATE = -5,       /* the plugin's state does not allow it */
  PLUGIN_E_NOT_RUNNING = -6,     /* the plugin is not RUNNING */
  PLUGIN_E_DENIED = -7,          /* you, or the ACL, may not */
  PLUGIN_E_UNTRUSTED = -8,       /* signature or trust */
  PLUGIN_E_NO_SANDBOX = -9,      /* a required wall cannot be built */
  PLUGIN_E_DEPENDENCY = -10,     /* missing, or version out of range */
  PLUGIN_E_INCOMPATIBLE = -11,   /* another ABI, API version or machine */
  PLUGIN_E_CONSENT_NEEDED = -12, /* a capability that the operator did not grant */
  PLUGIN_E_UNREACHABLE = -13,    /* no daemon answers */
  PLUGIN_E_TIMED_OUT = -14,      /* the deadline passed */
  PLUGIN_E_MALFORMED = -15,      /* the bytes are not what they should be */
  PLUGIN_E_TOO_LARGE = -16,      /* a bound of the framework */
  PLUGIN_E_EXHAUSTED = -17,      /* a resource is full */
  PLUGIN_E_PLUGIN_FAILED = -18,  /* the plugin itself said no, threw, hung or died */
  PLUGIN_E_PEER_GONE = -19,      /* the receiver is not there any more */
  PLUGIN_E_PEER_RESTARTED = -20, /* the receiver was replaced by a new process */
  PLUGIN_E_REFUSED = -21,        /* the receiver's ring stayed full */
  PLUGIN_E_CANCELLED = -22,
  PLUGIN_E_UNSUPPORTED = -23 /* this version or this kernel does not have it */
} plugin_error_t;

/* The word of an error code, "untrusted", for logs; "ok" for 0 and above, "failed" for an unknown
 * one. A constant: never freed. Any thread. */
MOHHOS_API const char* plugin_strerror(int error);

/* The sentence of the last call that failed on this thread: what, which, and what to do. Empty
 * before the first failure. Belongs to the library; valid until the next failure on the same
 * thread. */
MOHHOS_API const char* plugin_last_error(void);

#ifdef __cplusplus
}
#endif

#endif
