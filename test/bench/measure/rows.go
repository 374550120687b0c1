package measure

// rows is the table of what the whole path must reach. No peer in its field does better in any row.
func rows() []row {
	mail := []tool{smtpSink, smtpSource}
	bench := []tool{redisBenchmark}
	return []row{
		{Result: Result{
			Row: "email", What: "e-mail end to end", Unit: "mails/s", Against: "smtp-source", Must: 0.55, More: true,
		}, needs: mail, measure: measureEmail},
		{Result: Result{
			Row: "signed", What: "e-mail end to end, signed (DKIM, Ed25519)", Unit: "mails/s", Against: "smtp-source", Must: 0.4, More: true,
		}, needs: mail, measure: measureSigned},
		{Result: Result{
			Row: "cpu", What: "daemon's processor time per mail", Unit: "µs", Against: "smtp-source", Must: 3,
		}, needs: mail, measure: measureCPU},
		{Result: Result{
			Row: "sms", What: "SMS end to end", Unit: "messages/s", Against: "bare net/http", Must: 0.33, More: true,
		}, measure: measureSMS},
		{Result: Result{
			Row: "webhook", What: "webhook end to end", Unit: "messages/s", Against: "bare net/http", Must: 0.33, More: true,
		}, measure: measureWebhook},
		{Result: Result{
			Row: "queue", What: "queue work per message, both sides", Unit: "µs", Against: "one ZADD of redis-benchmark -P 16", Must: 40, Of: "µs",
		}, needs: bench, measure: measureQueue},
		{Result: Result{
			Row: "fsync", What: "e-mail with appendfsync always", Unit: "mails/s", Against: "appendfsync everysec", Must: 0.7, More: true,
		}, needs: mail[:1], measure: measureFsync},
		{Result: Result{
			Row: "due", What: "3,000 due among all customers: claimed, and their records read", Unit: "ms", Against: "3,000 GETs of redis-benchmark -P 100", Must: 80, Of: "ms",
		}, needs: bench, prepare: prepareDue, measure: measureDue},
		{Result: Result{
			Row: "idle", What: "due to accepted, idle system, p99", Unit: "ms", Must: 60, Of: "ms",
		}, measure: measureIdle},
		{Result: Result{
			Row: "sweep", What: "sweep of a million customers, one core", Unit: "s", Against: "a million GETs of redis-benchmark -P 1000", Must: 25, Of: "s",
		}, needs: bench, prepare: prepareSweep, measure: measureSweep},
		{Result: Result{
			Row: "memory", What: "memory of the daemon at the most", Unit: "MB", Must: 96, Of: "MB",
		}, needs: mail[:1], system: "linux", live: true, prepare: prepareMemory, measure: measureMemory},
		{Result: Result{
			Row: "redis", What: "Redis memory of ours per customer", Unit: "bytes", Against: "the customer's JSON", Must: 3,
		}, measure: measureRedis},
		{Result: Result{
			Row: "import", What: "import of a CSV file", Unit: "rows/s", Against: "SETs of redis-benchmark -P 100", Must: 60_000, Of: "rows/s", More: true,
		}, needs: bench, prepare: prepareImport, measure: measureImport},
	}
}
