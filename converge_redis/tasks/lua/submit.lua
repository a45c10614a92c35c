-- submit: Store new tasks (new -> pending).
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener to notify when the tasks are finished, or ""
-- ARGV[…]   for each task: id, the head of its record from after the time of submission (tasks/record),
--           spec (msgpack), lane, score there, delay or "", deadline or "" (microseconds)
-- Reply     {"SUBMITTED"}: all tasks are stored now
--           {"KNOWN"}: all are stored, some by an earlier call with the same spec; for those, the listener is
--           not registered
--           {"EXISTS", id, spec, id, spec, …}: these ids are taken, with these specs; the others are stored
--@include tasks/transitions

local listener = ARGV[1]
local reply = { "SUBMITTED" }
local entries, submitted = {}, 0 -- entries: the lanes in order, and by lane what enters it
for at = 2, #ARGV, 7 do
  local id, head, spec, lane, score, delay, deadline = unpack(ARGV, at, at + 6)
  local is_small = #spec <= MAX_INLINE_BYTES
  local due = delay ~= "" and now + delay
  local text = "p|" .. now_text .. head .. (due and "due=" .. lazy.int(due) .. "|" or "") .. "\n"
  local stored = redis.pcall("SET", tasks .. id, is_small and text .. spec or text, "NX", "GET")
  if type(stored) == "table" then -- an error: the server is full, and the script has not written before
    local full = stored
    stored = redis.call("GET", tasks .. id)
    if not stored then
      return full
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
      local lane_entries = entries[lane]
      if lane_entries then
        lane_entries[#lane_entries + 1] = score
        lane_entries[#lane_entries + 1] = id
      else
        entries[#entries + 1] = lane
        entries[lane] = { score, id }
      end
    end
  else
    local stored_spec = lazy.spec_of(id, lazy.decode(stored, id))
    if stored_spec ~= spec then
      reply[1] = "EXISTS"
      reply[#reply + 1] = id
      reply[#reply + 1] = stored_spec or ""
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
