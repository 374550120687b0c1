// Package measure measures carebell beside the limit that this machine sets: the same work done by programs that do nothing else
// (smtp-source, redis-benchmark) or by a bare loop of the standard library, in the same run.
//
// It promises that what it measures is the daemon as it is run, with its plan's gates, retries, leases, records and metrics, on a
// redis-server of its own with AOF everysec in a temporary folder; that no row is measured in a process in which another was; and that
// nothing leaves the machine. It does not promise that figures of different machines or hours can be compared: only the ratios within
// one run can.
package measure
