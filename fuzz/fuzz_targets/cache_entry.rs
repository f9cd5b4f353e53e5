#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        // Shards are decoded where the input is: threads would mix up what it reaches.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
        pool.build_global().expect("nobody has started threads yet");
    },
    |data: &[u8]| lamina_fuzz::cache_entry::run(data)
);
