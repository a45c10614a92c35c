-- watch_tasks: reads tasks, each brought up to date first; a listener is told when those end that have not.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener, ARGV[2…] task ids
-- Reply     {"OK", entry, …}: for a task that has ended, all of it (tasks/reply); for one that has not,
--           {microseconds until time may end it, or ""}; for an id that is unknown, {}
--@include tasks/expiry

local listener = ARGV[1]
local reply = { "OK" }

-- A claim's end may fail the task, as its deadline does.
local function ends_in(record)
  local soonest = math.min(tonumber(record.lease) or math.huge, tonumber(record.deadline) or math.huge)
  return soonest < math.huge and int(math.max(soonest - now, 0)) or ""
end

for i = 2, #ARGV do
  local id = ARGV[i]
  local record = load_current(id)
  if not record then
    reply[i] = {}
  elseif is_terminal(record) then
    reply[i] = task_reply(id, record)
  else
    redis.call("SADD", watchers .. id, listener)
    touch_ttl(watchers .. id)
    reply[i] = { ends_in(record) }
  end
end
return reply
