/* What libmohhos.so exports, and nothing else. */
#ifndef MOHHOS_EXPORT_H
#define MOHHOS_EXPORT_H

#if defined(__GNUC__)
#define MOHHOS_API __attribute__((visibility("default")))
#else
#define MOHHOS_API
#endif

#endif
