#!lua flags=allow-oom
-- Adds entries to a stream.
-- KEYS[1]  care:events
-- ARGV[1]  how many entries it keeps, about
-- then for each entry the number of its words, and the words: name, value, …
-- Returns  how many were added
-- allow-oom: what became of a message is told even when Redis is full; the stream's length is bounded.
local i, added = 2, 0
while i <= #ARGV do
  local n = tonumber(ARGV[i])
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', unpack(ARGV, i + 1, i + n))
  added = added + 1
  i = i + n + 1
end
return added
