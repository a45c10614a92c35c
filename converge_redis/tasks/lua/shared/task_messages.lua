-- Messages about a task: to the listener of its claim, and to its watchers.
--@include notifications/notify
--@include tasks/reply

-- Notify the listener of a claim, where it has one, that the claim ends without a call of its holder.
local function notify_holder(id, record)
  if record.listener then
    notify(record.listener, "lost " .. record.token .. " " .. id)
  end
end

local MAX_MESSAGE_BYTES = 16 * 1024
local LISTENERS_PER_POP = 1000

-- Notify the watchers of a task that it is finished. The message holds the whole task, unless it is large.
local function notify_watchers(id, record)
  local watching = redis.call("SPOP", watchers .. id, LISTENERS_PER_POP)
  if #watching == 0 then
    return
  end
  local parts = { "done" }
  local size = #record.text
  size = record.size and size or size + redis.call("STRLEN", specs .. id)
  size = #record.payloads > (record.size or 0) and size or size + redis.call("STRLEN", results .. id)
  local row = size <= MAX_MESSAGE_BYTES and task_reply(id, record) or { id }
  for i, part in ipairs(row) do
    parts[i + 1] = #(part or "") .. ":" .. (part or "")
  end
  local message = table.concat(parts, " ")
  repeat
    for _, listener in ipairs(watching) do
      notify(listener, message)
    end
    watching = #watching < LISTENERS_PER_POP and {} or redis.call("SPOP", watchers .. id, LISTENERS_PER_POP)
  until #watching == 0
end
