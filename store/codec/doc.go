// Package codec says how what carebell keeps in Redis is written: message records, ledger entries, the refs by which sets name messages,
// receipts that wait for their message, and entries of care:events. The forms are part of the state's version (docs/redis.md).
//
// It promises that each form reads back as it was written, whatever the texts in it, and that what is damaged is an error and never a
// guess. It knows no Redis, no key and no clock.
package codec
