"""Proximal policy optimization (Schulman et al., 2017) balances the pole of Gymnasium's CartPole-v1.

The policy is a network of two logits, trained on the gradient of its own objective; the critic is a regression. An
agent that always succeeds has a return of 500. Run it with `python examples/cartpole.py`, after
`pip install fastmlp[examples]`.
"""

from __future__ import annotations

import time

import gymnasium
import numpy as np

from fastmlp import Adam, Network, PolynomialDecay

STEPS, ROLLOUT, BATCH, EPOCHS = 32768, 2048, 64, 10
GAMMA, LAMBDA, CLIP, ENTROPY = 0.99, 0.95, 0.2, 0.01
UPDATES = STEPS // BATCH * EPOCHS


def softmax(logits):
    """Return the probabilities of the actions, (n, 2)."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def objective_gradient(logits, actions, advantages, old_probabilities):
    """Return dJ/dlogits of `J = -mean(min(r A, clip(r) A)) - ENTROPY mean(H)` with `r = p(action) / p_old(action)`."""
    p, rows = softmax(logits), np.arange(len(actions))
    ratio = p[rows, actions] / old_probabilities
    clipped = np.where(advantages > 0, ratio > 1 + CLIP, ratio < 1 - CLIP)  # J does not change with these
    slope = np.where(clipped, 0, ratio * advantages)[:, None] * (np.eye(2)[actions] - p)
    log_p = np.log(p + 1e-12)
    entropy = -(p * log_p).sum(axis=1, keepdims=True)
    return -(slope - ENTROPY * p * (log_p + entropy)) / len(actions)


def advantages_of(rewards, values, ends, last_value):
    """Return the generalized advantages (Schulman et al., 2016); `ends` is 1 where an episode ended after the step."""
    advantages, total = np.zeros(len(rewards)), 0.0
    next_values = np.append(values[1:], last_value)
    for t in reversed(range(len(rewards))):
        going = 1 - ends[t]
        error = rewards[t] + GAMMA * going * next_values[t] - values[t]
        total = error + GAMMA * LAMBDA * going * total
        advantages[t] = total
    return advantages


def play(env, policy, rng, state, steps):
    """Act for some steps. Return states, actions, their chances, rewards, ends of episodes, and the last state."""
    states, actions = np.empty((steps, 4), np.float32), np.empty(steps, np.int64)
    chances, rewards, ends = np.empty(steps), np.empty(steps), np.empty(steps)
    for t in range(steps):
        p = softmax(policy.predict(state[None]))[0]
        states[t], actions[t] = state, int(rng.random() >= p[0])
        chances[t] = p[actions[t]]
        state, rewards[t], failed, finished, _ = env.step(actions[t])
        ends[t] = failed or finished
        if ends[t]:
            state, _ = env.reset()
    return states, actions, chances, rewards, ends, state


def train(seed=0):
    """Return the policy after `STEPS` steps."""
    rng, env = np.random.default_rng(seed), gymnasium.make("CartPole-v1")
    rate = Adam(PolynomialDecay(2.5e-3, UPDATES, end_learning_rate=0.0), global_clipnorm=0.5)
    policy, critic = (
        Network([4, 64, 64, outputs], activation="tanh", optimizer=rate, seed=seed, threads=1) for outputs in (2, 1)
    )
    gradient = np.empty(policy.architecture.parameters, np.float32)
    state, _ = env.reset(seed=seed)
    for _ in range(STEPS // ROLLOUT):
        states, actions, chances, rewards, ends, state = play(env, policy, rng, state, ROLLOUT)
        values = critic.predict(states)[:, 0]
        advantages = advantages_of(rewards, values, ends, critic.predict(state[None])[0, 0])
        returns = (advantages + values)[:, None]
        for _ in range(EPOCHS):
            for rows in np.split(rng.permutation(ROLLOUT), ROLLOUT // BATCH):
                A = advantages[rows]
                logits = policy.forward(states[rows])
                dA = objective_gradient(logits, actions[rows], (A - A.mean()) / (A.std() + 1e-8), chances[rows])
                policy.apply_gradients(policy.backward(None, dA, out=gradient))
                critic.train_on_batch(states[rows], returns[rows])
    return policy


def average_return(policy, episodes=20, seed=1):
    """Return the mean return of the better action in each state."""
    env, total = gymnasium.make("CartPole-v1"), 0.0
    for episode in range(episodes):
        (state, _), over = env.reset(seed=seed + episode), False
        while not over:
            state, reward, failed, finished, _ = env.step(int(policy.predict(state[None])[0].argmax()))
            total, over = total + reward, failed or finished
    return total / episodes


if __name__ == "__main__":
    started = time.perf_counter()
    policy = train()
    print(f"trained in {time.perf_counter() - started:.1f} s")
    print(f"average return of 20 episodes: {average_return(policy):.1f}")
