-- For the scripts that change delegations: those that have ended long ago are deleted.
--@include delegation/delegations
local home = KEYS[1]
local delegations = make_delegations(home)
local records, given, over = delegations.records, delegations.given, delegations.over
local load = delegations.load

local KEPT = 86400 * 1000000 -- after its end
local SWEPT = 20

-- The index of those delegations that an agent or a pool holds.
local function holders_index(delegation)
  return (delegation.type == "pooled" and delegations.pooled or delegations.held) .. delegation.to
end

local function sweep_expired()
  for _, id in ipairs(redis.call("ZRANGEBYSCORE", over, "-inf", now_text, "LIMIT", 0, SWEPT)) do
    local delegation = load(id)
    if delegation then
      redis.call("ZREM", given .. delegation.from, id)
      redis.call("ZREM", holders_index(delegation), id)
      redis.call("DEL", records .. id)
    end
    redis.call("ZREM", over, id)
  end
end
