-- submit: new -> pending, for one task or for several of the same shard.
-- KEYS[1]   the shard (shared/shard.lua)
-- ARGV[1]   a listener that is told when they end, or ""
-- ARGV[2]   number of tasks; then for each task:
-- ARGV[…]   id, spec (msgpack), delay (microseconds), lane, priority, ttl or "", n, then n names and values:
--           those of timeout, deadline, retries, retention that are set (shared/record.lua)
-- Reply     {"SUBMITTED"}: every task is stored now
--           {"KNOWN"}: every task is stored, some by an earlier call with the same spec; for those, nobody is
--           told anything
--           {"EXISTS", id, spec, id, spec, …}: these ids were taken, with these specs; the others are stored
--@include shared/states

local listener = ARGV[1]
local reply = { "SUBMITTED" }
local names, entries, submitted = {}, {}, 0 -- lanes in the order in which they are entered, what enters them
local at = 3
for _ = 1, tonumber(ARGV[2]) do
  local id, spec, delay, lane, priority, ttl = unpack(ARGV, at, at + 5)
  local last = at + 6 + 2 * ARGV[at + 6]
  local is_small = #spec <= MOST_INSIDE
  local record = {
    state = "pending",
    submitted = now_text,
    lane = lane,
    priority = priority,
    ttl = ttl ~= "" and ttl or nil,
    size = is_small and #spec or nil,
    body = is_small and spec or "",
  }
  for i = at + 7, last, 2 do
    record[ARGV[i]], record.is_rare = ARGV[i + 1], true
  end
  if delay ~= "0" then
    record.due, record.is_rare = int(now + delay), true
  end
  local stored = redis.call("SET", tasks .. id, text_of(record), "NX", "GET")
  if not stored then
    submitted = submitted + 1
    if not is_small then
      redis.call("SET", specs .. id, spec)
    end
    if listener ~= "" then
      redis.call("SADD", watchers .. id, listener)
      keep(watchers .. id)
    end
    if record.deadline then
      redis.call("ZADD", deadlines, record.deadline, id)
    end
    if record.due then
      rarely.enter_delayed(id, now + delay)
    else
      local of_lane = entries[lane]
      if not of_lane then
        of_lane = {}
        entries[lane] = of_lane
        names[#names + 1] = lane
      end
      of_lane[#of_lane + 1] = score_of(priority)
      of_lane[#of_lane + 1] = id
    end
  else
    local other = rarely.spec_of(id, rarely.read(stored))
    if other ~= spec then
      reply[1] = "EXISTS"
      reply[#reply + 1] = id
      reply[#reply + 1] = other or ""
    elseif #reply == 1 then
      reply[1] = "KNOWN"
    end
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
