-- The record of a task: one string, `<head>\n<spec><result>`, so that a task takes one key and few bytes
-- (docs/decisions/task-records.md). A spec or a result of more than MAX_INLINE_BYTES has a key of its own, so
-- that no transition rewrites it. The head is text, with `|` after each part:
--   state (its letter), submitted, lane, priority, ttl     set at submit; "": the lane `::`, the priority 0
--   agent, token, lease, listener                          the claim; agent and token remain when finished
--   attempts                                               number of claims so far
--   calls                                                  ids of the last calls that changed the record
--   finished                                               the time; only in terminal states
--   size                                                   of the inline spec; "": the spec has its own key
--   name=value|…                                           optional fields (tasks/record_update)
-- Times are in microseconds; once a task is finished, `token` and `finished` are relative to `submitted`.
-- Python encodes the head of a new task, and decodes all of it (converge_redis/tasks/record.py).
--@include core/shard_keys

local MAX_INLINE_BYTES = 1024

local function is_terminal(record)
  return record.finished ~= nil
end

local function unescape(text)
  if string.find(text, "%", 1, true) then
    return (string.gsub(text, "%%(%x%x)", { ["25"] = "%", ["7C"] = "|", ["0A"] = "\n" }))
  end
  return text
end

local HEAD = "^(%a+)|(%d*)|([^|]*)|([^|]*)|(%d*)|([^|]*)|(%-?%d*)|(%d*)|([^|]*)|(%d*)|([^|]*)|"
  .. "(%-?%d*)|(%d*)|([^\n]*)\n()"

-- Not a table: every script would build it.
local function state_name(letter)
  return letter == "p" and "pending"
    or letter == "a" and "assigned"
    or letter == "r" and "running"
    or letter == "c" and "completed"
    or letter == "f" and "failed"
    or letter == "x" and "cancelled"
    or letter
end

local function decode(text, id)
  local letter, submitted, lane, priority, ttl, agent, token, lease, listener, attempts, call_ids,
    finished_after, size, optional, payloads_at = string.match(text, HEAD)
  if not letter then
    error("task '" .. id .. "' is stored in a form that cannot be read", 0)
  end
  local record = {
    text = text,
    state = state_name(letter),
    submitted = submitted,
    lane = lane == "" and "::" or lane,
    priority = priority == "" and "0" or priority,
    ttl = ttl ~= "" and ttl or nil,
    agent = agent ~= "" and unescape(agent) or nil,
    token = token ~= "" and token or nil,
    lease = lease ~= "" and lease or nil,
    listener = listener ~= "" and listener or nil,
    attempts = attempts ~= "" and attempts or nil,
    calls = call_ids ~= "" and call_ids or nil,
    size = size ~= "" and tonumber(size) or nil,
    payloads = string.sub(text, payloads_at),
  }
  if optional ~= "" then
    record.has_optional = true
    for name, value in string.gmatch(optional, "([%a_]+)=([^|]*)|") do
      record[name] = unescape(value)
    end
  end
  if finished_after ~= "" then
    record.finished = int(submitted + finished_after)
    record.token = record.token and int(submitted + token)
  end
  record.claimed = record.claimed or (record.agent and record.token)
  return record
end

local function load(id)
  local text = redis.call("GET", tasks .. id)
  return text and decode(text, id) or nil
end

-- As `load`, but return nil for a record that cannot be decoded: a key that another program overwrote must
-- not stop the work on other tasks.
local function load_readable(id)
  local is_read, record = pcall(load, id)
  return is_read and record or nil
end
