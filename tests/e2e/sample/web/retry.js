/** Call `work` again with exponential backoff until it succeeds or `attempts` are used up. */
export async function retryWithBackoff(work, attempts = 5, delay = 100) {
  for (let attempt = 0; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (attempt + 1 >= attempts) throw error;
      await new Promise((resolve) => setTimeout(resolve, delay * 2 ** attempt));
    }
  }
}

export class TokenBucket {
  constructor(rate, burst) {
    this.rate = rate;
    this.tokens = burst;
  }

  /** Take one token, or say how many seconds to wait. */
  take(now) {
    return this.tokens-- > 0 ? 0 : 1 / this.rate;
  }
}
