-- get_tasks: Read tasks, after applying what is due to them.
-- KEYS[1]   the shard (core/shard_keys)
-- ARGV[…]   task ids
-- Reply     {"OK", now (microseconds), task, …} (tasks/reply), with {} for an unknown id
--@include tasks/expiry
--@include tasks/reply

local reply = { "OK", int(now) }
for i, id in ipairs(ARGV) do
  local record = load_current(id)
  reply[i + 2] = record and task_reply(id, record) or {}
end
return reply
