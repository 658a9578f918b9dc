#!/usr/bin/env bash
# curl against Penstock. Prints a line for each call that passes.
set -euo pipefail

call() { curl -sS --max-time 60 -H "Content-Type: application/json" "$@"; }
check() {
  local name=$1 expected=$2 actual=$3
  if [[ $actual == *"$expected"* ]]; then
    echo "passed $name"
  else
    echo "FAILED $name: expected $expected, got $actual"
    exit 1
  fi
}

chat='{"model":"sse","messages":[{"role":"user","content":"count"}]'
check chat '"content":"one two three"' "$(call -d "$chat}" "$PENSTOCK_URL/v1/chat/completions")"
check chat_stream 'data: [DONE]' "$(call -N -d "$chat,\"stream\":true}" "$PENSTOCK_URL/v1/chat/completions")"
check completion '"text":"one two three"' "$(call -d '{"model":"sse","prompt":"count"}' "$PENSTOCK_URL/v1/completions")"
check embeddings '"object":"embedding"' "$(call -d '{"model":"sse","input":"a"}' "$PENSTOCK_URL/v1/embeddings")"
check models '"sse"' "$(call "$PENSTOCK_URL/v1/models")"
check message '"text":"one two three"' "$(call -d "$chat,\"max_tokens\":100}" "$PENSTOCK_URL/v1/messages")"
check message_stream 'event: message_stop' "$(call -N -d "$chat,\"max_tokens\":100,\"stream\":true}" "$PENSTOCK_URL/v1/messages")"
check ollama_chat '"done":true' "$(call -N -d "$chat}" "$PENSTOCK_URL/api/chat")"
check not_found '"model_not_found"' "$(call -d '{"model":"missing","prompt":"count"}' "$PENSTOCK_URL/v1/completions")"
