-- submit: new -> pending, for one task or for several of the same shard.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   number of tasks; then for each task:
-- ARGV[…]   id, spec (msgpack), delay (microseconds), lane, priority, ttl or "", n, then n names and values:
--           those of timeout, deadline, retries, retention that are set (shared/record.lua)
-- Reply     {"SUBMITTED"}: every task is stored, now or by an earlier call with the same spec
--           {"EXISTS", id, spec, id, spec, …}: these ids were taken, with these specs; the others are stored
--@include shared/states

local reply = { "SUBMITTED" }
local names, entries, submitted = {}, {}, 0 -- lanes in the order in which they are entered, what enters them
local at = 2
for _ = 1, tonumber(ARGV[1]) do
  local id, spec, delay, lane, priority, ttl = unpack(ARGV, at, at + 5)
  local last = at + 6 + 2 * tonumber(ARGV[at + 6])
  local stored = load(id)
  if not stored then
    local record = { submitted = now_text, lane = lane, priority = priority, ttl = ttl ~= "" and ttl or nil }
    for i = at + 7, last, 2 do
      record[ARGV[i]], record.is_rare = ARGV[i + 1], true
    end
    put_spec(id, record, spec)
    if record.deadline then
      redis.call("ZADD", deadlines, record.deadline, id)
    end
    submitted = submitted + 1
    if not make_pending(id, record, now + delay) then
      local of_lane = entries[lane]
      if not of_lane then
        of_lane = {}
        entries[lane] = of_lane
        names[#names + 1] = lane
      end
      of_lane[#of_lane + 1] = int(0 - priority)
      of_lane[#of_lane + 1] = id
    end
  elseif spec_of(id, stored) ~= spec then
    reply[1] = "EXISTS"
    reply[#reply + 1] = id
    reply[#reply + 1] = spec_of(id, stored) or ""
  end
  at = last + 1
end
if submitted > 0 then
  count("pending", submitted)
  for _, lane in ipairs(names) do
    enter_lane(lane, entries[lane])
  end
end
return reply
