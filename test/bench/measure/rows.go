package measure

// rows is the table of what the whole path must reach, and what it aims at.
func rows() []row {
	mail := []tool{smtpSink, smtpSource}
	bench := []tool{redisBenchmark}
	return []row{
		{Result: Result{
			Row: "email", What: "e-mail end to end", Unit: "mails/s", Against: "smtp-source", Must: 0.45, Aim: 0.7, More: true,
		}, needs: mail, measure: measureEmail},
		{Result: Result{
			Row: "cpu", What: "daemon's processor time per mail", Unit: "µs", Against: "smtp-source", Must: 5, Aim: 2.5,
		}, needs: mail, measure: measureCPU},
		{Result: Result{
			Row: "sms", What: "SMS end to end", Unit: "messages/s", Against: "bare net/http", Must: 0.45, Aim: 0.55, More: true,
		}, measure: measureSMS},
		{Result: Result{
			Row: "webhook", What: "webhook end to end", Unit: "messages/s", Against: "bare net/http", Must: 0.45, Aim: 0.55, More: true,
		}, measure: measureWebhook},
		{Result: Result{
			Row: "queue", What: "queue work per message, both sides", Unit: "µs", Against: "one ZADD of redis-benchmark -P 16", Must: 3, Aim: 2,
		}, needs: bench, measure: measureQueue},
		{Result: Result{
			Row: "fsync", What: "e-mail with appendfsync always", Unit: "mails/s", Against: "appendfsync everysec", Must: 0.8, Aim: 0.9, More: true,
		}, needs: mail[:1], measure: measureFsync},
		{Result: Result{
			Row: "due", What: "3,000 due among all customers: claimed, and their records read", Unit: "ms", Against: "3,000 GETs of redis-benchmark -P 100", Must: 30, Aim: 15, Of: "ms",
		}, needs: bench, prepare: prepareDue, measure: measureDue},
		{Result: Result{
			Row: "idle", What: "due to accepted, idle system, p99", Unit: "ms", Must: 150, Aim: 50, Of: "ms",
		}, measure: measureIdle},
		{Result: Result{
			Row: "sweep", What: "sweep of a million customers, one core", Unit: "s", Against: "a million GETs of redis-benchmark -P 1000", Must: 20, Aim: 8, Of: "s",
		}, needs: bench, prepare: prepareSweep, measure: measureSweep},
		{Result: Result{
			Row: "memory", What: "memory of the daemon at the most", Unit: "MB", Must: 128, Aim: 48, Of: "MB",
		}, needs: mail[:1], system: "linux", live: true, prepare: prepareMemory, measure: measureMemory},
		{Result: Result{
			Row: "redis", What: "Redis memory of ours per customer", Unit: "bytes", Against: "the customer's JSON", Must: 2.5, Aim: 1.5,
		}, measure: measureRedis},
		{Result: Result{
			Row: "import", What: "import of a CSV file", Unit: "rows/s", Against: "SETs of redis-benchmark -P 100", Must: 40_000, Aim: 100_000, Of: "rows/s", More: true,
		}, needs: bench, prepare: prepareImport, measure: measureImport},
	}
}
