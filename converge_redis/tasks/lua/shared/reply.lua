-- A task as a reply: {id, record}; where the spec or the result has a key of its own:
-- {id, record, spec or nil, result or nil}. operations/task_replies.py reads it.
--@include tasks/record

local function task_reply(id, record)
  local spec_inside = record.size ~= nil
  local has_result = record.state == "completed" or (record.state == "failed" and not record.failure)
  if spec_inside and (not has_result or #record.payloads > record.size) then
    return { id, record.text }
  end
  local spec = not spec_inside and redis.call("GET", specs .. id)
  local result = has_result and #record.payloads == (record.size or 0) and redis.call("GET", results .. id)
  return { id, record.text, spec, result }
end
