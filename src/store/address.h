/* Addresses on the network: which may be asked, and who may be told the token. */
#ifndef ACE_STORE_ADDRESS_H
#define ACE_STORE_ADDRESS_H

#include "base/status.h"

#include <stdbool.h>

enum { ACE_STORE_ADDRESS_BYTES = 2048 };

/* The beginning of all addresses of a host, as a person has named it: https, or http where that was
 * written. No user, no password, no query; a slash at the end is dropped. ARGUMENT otherwise. */
ace_status ace_store_address_base(const char *text, char out[ACE_STORE_ADDRESS_BYTES],
                                  ace_error *err);

/* May a request that began at `base` go to `address`? Encrypted ones stay encrypted; others may go
 * to the same host, and between ports of this machine. */
bool ace_store_address_allowed(const char *base, const char *address);

/* May what is secret and meant for `base` be sent to `address`? Same scheme, host and port, and
 * encrypted unless it stays on this machine. */
bool ace_store_address_trusted(const char *base, const char *address);

/* "https://host:port" for messages: paths and queries of redirects may hold signatures. */
void ace_store_address_host(const char *address, char out[256]);

#endif
