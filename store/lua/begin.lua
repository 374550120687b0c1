#!lua
-- Records that claimed messages are about to be handed over: state sending.
-- KEYS[1]  the shard's fence
-- ARGV     for each hand two words: its token, and for each message a line: \n customer | what is noted of it
-- Returns  {mark, then for each hand 1 if it is still ours (and its lease has not ended), 0 if not, or a text with a 1 or 0 for each message}
-- Has no allow-oom: what cannot be recorded is not begun. Run twice it notes the same twice, which says no more than once.
local prefix = string.sub(KEYS[1], 1, -6)
local call = redis.call
local time = call('TIME')
local now = tonumber(time[1]) * 1000000 + tonumber(time[2])

-- A customer of the hand was erased: not all of its messages are in it any more.
local function some(token, text)
  local flags, left = {}, {}
  for line, customer in string.gmatch(text, '(\n([^|]*)[^\n]*)') do
    local ours = call('HGET', prefix .. 'flight', customer) == token
    flags[#flags + 1] = ours and '1' or '0'
    if ours then left[#left + 1] = line end
  end
  return table.concat(flags), table.concat(left)
end

-- Every key is read before the first write. While a cluster moves the slot, a key that has gone ahead is an error here, when nothing has
-- been done yet, and not half way through.
local out, begun = {call('GET', prefix .. 'mark') or '0'}, {}
for i = 1, #ARGV, 2 do
  local token, text, answer = ARGV[i], ARGV[i + 1], 0
  local ends = call('ZSCORE', prefix .. 'hands', token)
  if ends and tonumber(ends) > now then
    answer = 1
    if call('HEXISTS', prefix .. 'left', token .. '!') == 1 then answer, text = some(token, text) end
    call('EXISTS', prefix .. 'hand:' .. token)
    if text ~= '' then begun[#begun + 1] = {prefix .. 'hand:' .. token, text} end
  end
  out[#out + 1] = answer
end
for _, b in ipairs(begun) do call('APPEND', b[1], b[2]) end
if #begun > 0 then out[1] = tostring(call('INCR', prefix .. 'mark')) end
return out
