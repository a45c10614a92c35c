-- A task in a reply, and its payloads: its spec and its result. Python decodes them
-- (converge_redis/tasks/record.py).
--@include tasks/record

local function spec_of(id, record)
  return record.size and string.sub(record.payloads, 1, record.size) or redis.call("GET", specs .. id) or nil
end

local function result_of(id, record)
  local inline = string.sub(record.payloads, (record.size or 0) + 1)
  return inline ~= "" and inline or record.finished and redis.call("GET", results .. id) or nil
end

-- Return {id, record}, or {id, record, spec or nil, result or nil} where one of the two has its own key.
local function task_reply(id, record)
  local is_spec_inline = record.size ~= nil
  local has_result = record.state == "completed" or (record.state == "failed" and not record.failure)
  if is_spec_inline and (not has_result or #record.payloads > record.size) then
    return { id, record.text }
  end
  local spec = not is_spec_inline and redis.call("GET", specs .. id)
  local result = has_result and #record.payloads == (record.size or 0) and redis.call("GET", results .. id)
  return { id, record.text, spec, result }
end
