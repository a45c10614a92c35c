-- claim_next: Claim the best tasks that an agent may have (pending -> assigned or running).
-- KEYS[1]   the shard (core/shard_keys)
-- KEYS[2]   with a scope: the prefix of the delegations' keys (delegation/delegations)
-- ARGV[1]   call id
-- ARGV[2]   agent id
-- ARGV[3]   the most tasks to claim
-- ARGV[4]   "again" for a retry, whose first attempt may have claimed, else "first"
-- ARGV[5]   listener to notify when a claim ends without a call of its holder, or ""
-- ARGV[6]   number of the claimer at this listener, ARGV[7] its filter id; both "" if it cannot wait
-- ARGV[8]   mode, for when there is nothing to claim: "look": return; "wait": enter the claim queue; "leave":
--           return, and leave the queue in any case; or the lane for which the claimer was woken: enter the
--           queue again
-- ARGV[9]   state of the claimed tasks: "assigned", or "running" for a claimer that starts at once
-- ARGV[10]  the agent whose authority is needed ("": any), ARGV[11] the scope to check, or ""
-- ARGV[12…] the filter (tasks/filter): pools, topics, capabilities
-- Reply     {"CLAIMED", task, task, …} (tasks/reply)
--           {"NOTHING", microseconds until the due timer of the listener fires (tasks/due_timer), or ""}
--           {"NOT_GRANTED"}
--           {"MORE"}: call again; more was due than one call applies, and tasks may follow
--@include tasks/sweep_due
--@include tasks/claim_best
--@include tasks/reply
--@include delegation/grants

local delegations_prefix = KEYS[2]
local call_id, agent, wanted, is_retry = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4] == "again"
local listener, number, filter_id, mode = ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local woken_for = mode ~= "look" and mode ~= "wait" and mode ~= "leave" and mode
local state, principal, scope = ARGV[9], ARGV[10], ARGV[11]
local FIRST_FILTER_ARG = 12
local MAX_CLAIMS_READ = 1000

local reply = { "CLAIMED" }
if is_retry then
  for _, id in ipairs(redis.call("ZREVRANGE", claims .. agent, 0, MAX_CLAIMS_READ - 1)) do
    local record = load_readable(id)
    -- A claim of the first attempt still stands if no later call has changed the record.
    if record and string.sub(record.calls or "", 1, CALL_ID_LENGTH) == call_id then
      reply[#reply + 1] = task_reply(id, record)
    end
  end
  if #reply > 1 then
    return reply
  end
end

if woken_for or mode == "leave" then
  lazy.unregister_claimers(listener, filter_id, { number })
end
if scope ~= "" and not lazy.is_granted(delegations_prefix, agent, principal, scope) then
  if woken_for then
    wake_claimer(woken_for)
  end
  return { "NOT_GRANTED" }
end
local next_due_at = sweep_due()
local filter = read_filter(ARGV, FIRST_FILTER_ARG)
local claimed_from, has_more = claim_best(reply, filter, wanted, agent, call_id, listener, state)
if #reply > 1 then
  -- A claimer that was woken for one lane, but found better tasks in others, wakes the next claimer for it.
  if woken_for and not claimed_from[woken_for] and redis.call("EXISTS", lane_prefix .. woken_for) == 1 then
    wake_claimer(woken_for)
  end
  return reply
end
if has_more or next_due_at <= now then
  return { "MORE" }
end
if mode == "look" or mode == "leave" then
  return { "NOTHING", "" }
end
local filter_text = table.concat(ARGV, " ", FIRST_FILTER_ARG) .. " "
lazy.register_claimers(listener, filter_id, filter, filter_text, { number })
return { "NOTHING", elect_timer(listener, next_due_at) }
