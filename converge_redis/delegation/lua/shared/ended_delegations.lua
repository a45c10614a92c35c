-- Deleting delegations after their end, for the scripts that change delegations.
--@include delegation/delegations
local prefix = KEYS[1]
local delegations = make_delegations(prefix)
local records, given, ended = delegations.records, delegations.given, delegations.ended
local load_delegation = delegations.load_delegation

local RETENTION_US = 86400 * 1000000
local SWEPT_PER_CALL = 20

-- Return the index of the delegations with the same holder.
local function holder_index(delegation)
  return (delegation.type == "pooled" and delegations.pooled or delegations.held) .. delegation.to
end

local function sweep_expired()
  for _, id in ipairs(redis.call("ZRANGEBYSCORE", ended, "-inf", now_text, "LIMIT", 0, SWEPT_PER_CALL)) do
    local delegation = load_delegation(id)
    if delegation then
      redis.call("ZREM", given .. delegation.from, id)
      redis.call("ZREM", holder_index(delegation), id)
      redis.call("DEL", records .. id)
    end
    redis.call("ZREM", ended, id)
  end
end
