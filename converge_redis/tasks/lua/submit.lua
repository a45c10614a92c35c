-- submit: new -> pending, for one task or for several of the same shard.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   a listener that is told when they end, or ""
-- ARGV[…]   for each task: id, what the head of its record goes on with after the time (tasks/record),
--           spec (msgpack), lane, score there, delay or "", deadline or "" (microseconds)
-- Reply     {"SUBMITTED"}: every task is stored now
--           {"KNOWN"}: every task is stored, some by an earlier call with the same spec; for those, nobody is
--           told anything
--           {"EXISTS", id, spec, id, spec, …}: these ids were taken, with these specs; the others are stored
--@include tasks/transitions

local listener = ARGV[1]
local reply = { "SUBMITTED" }
local entries, submitted = {}, 0 -- the lanes in the order in which they are entered; by lane, what enters it
for at = 2, #ARGV, 7 do
  local id, head, spec, lane, score, delay, deadline = unpack(ARGV, at, at + 6)
  local is_small = #spec <= MAX_INLINE_BYTES
  local due = delay ~= "" and now + delay
  local text = "p|" .. now_text .. head .. (due and "due=" .. lazy.int(due) .. "|" or "") .. "\n"
  local stored = redis.pcall("SET", tasks .. id, is_small and text .. spec or text, "NX", "GET")
  if type(stored) == "table" then -- a full server refuses it: nothing was written before, or it would not
    local refused = stored
    stored = redis.call("GET", tasks .. id)
    if not stored then
      return refused
    end
  end
  if not stored then
    submitted = submitted + 1
    if not is_small then
      redis.call("SET", lazy.specs .. id, spec)
    end
    if listener ~= "" then
      redis.call("SADD", watchers .. id, listener)
      lazy.touch_ttl(watchers .. id)
    end
    if deadline ~= "" then
      redis.call("ZADD", lazy.deadlines, deadline, id)
    end
    if due then
      lazy.enter_delayed(id, due)
    else
      local of_lane = entries[lane]
      if of_lane then
        of_lane[#of_lane + 1] = score
        of_lane[#of_lane + 1] = id
      else
        entries[#entries + 1] = lane
        entries[lane] = { score, id }
      end
    end
  else
    local other = lazy.spec_of(id, lazy.decode(stored, id))
    if other ~= spec then
      reply[1] = "EXISTS"
      reply[#reply + 1] = id
      reply[#reply + 1] = other or ""
    elseif #reply == 1 then
      reply[1] = "KNOWN"
    end
  end
end
if submitted > 0 then
  count("pending", submitted)
  for _, lane in ipairs(entries) do
    enter_lane(lane, entries[lane])
  end
end
return reply
