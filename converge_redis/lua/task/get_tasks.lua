-- get_tasks: reads tasks, each brought up to date first.
-- KEYS      the shard's keys (shared/shard.lua)
-- ARGV[…]   task ids
-- Reply     {"OK", task or nil, …} (shared/reply.lua), as a list with one entry for each id
--@include shared/time
--@include shared/reply

local reply = { "OK" }
for i, id in ipairs(ARGV) do
  local record = load_current(id)
  reply[i + 1] = record and task_reply(id, record) or {}
end
return reply
