-- watch_tasks: Read tasks as get_tasks does; register a listener for the end of those that are not finished.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[1]   listener, ARGV[2…] task ids
-- Reply     {"OK", entry, …}, for each task: if it is finished, the task (tasks/reply); if it is not,
--           {microseconds until time may finish it, or ""}; if it is unknown, {}
--@include tasks/expiry

local listener = ARGV[1]
local reply = { "OK" }

-- The end of a lease may fail the task, as its deadline does.
local function may_finish_in(record)
  local earliest = math.min(tonumber(record.lease) or math.huge, tonumber(record.deadline) or math.huge)
  return earliest < math.huge and int(math.max(earliest - now, 0)) or ""
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
    reply[i] = { may_finish_in(record) }
  end
end
return reply
